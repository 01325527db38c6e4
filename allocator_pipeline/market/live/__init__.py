"""The live market: tables derived from what vendors have answered (`market.raw`), never from the network itself."""
