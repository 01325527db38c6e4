"""The HTML report, one file a section; `document` puts it together."""
