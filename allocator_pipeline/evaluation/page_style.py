"""The style sheet of the HTML pages: light and dark, wide and narrow, on screen and on paper."""

CSS = """
:root { color-scheme: light dark;
  --paper:#fbfaf7; --card:#ffffff; --ink:#1d2329; --faint:#66707a; --rule:#e2e0d9; --accent:#0b5c8a; --bar:#cfe3ef;
  --good:#1b6e4b; --bad:#a23b1d; --wait:#7a6a1c;
  --ppo-lstm:#0072b2; --ppo-patchtst:#1fa3dc; --sac-lstm:#c04a00; --sac-patchtst:#e39a1b;
  --dpg-lstm:#00795c; --dpg-patchtst:#3dbb92;
  --band:rgba(92,107,120,.28);
  --equal-weight:#3b444c; --hrp:#8a8f94; --baseline:#a06a9b; --versus-0:#0b5c8a; --versus-1:#b06a12;
  --forecaster-0:#0072b2; --forecaster-1:#c04a00; --forecaster-2:#00795c; --forecaster-3:#a06a9b;
  --forecaster-4:#b8860b; --forecaster-5:#5d6b78; --cash:#d9d7d0;
  --s0:#3d6f9e; --s1:#e0a458; --s2:#5b9a82; --s3:#b5635c; --s4:#8d7bb0; --s5:#93b7d1; --s6:#c7b87a; --s7:#477a6a;
  --s8:#d99a8b; --s9:#62568a; --s10:#6aa3b8; --s11:#b07d3c; --s12:#9bc4a4; --s13:#8c4a5e; --s14:#b9a9d4; --s15:#2f5573;
  --s16:#e3c79a; --s17:#7d8f4e; --s18:#cf7f9c; --s19:#5d6b78; }
@media screen and (prefers-color-scheme: dark) { :root {
  --paper:#14181c; --card:#1b2025; --ink:#e4e6e3; --faint:#98a2ab; --rule:#323a41; --accent:#7cc0e8; --bar:#1f4356;
  --good:#6cc79d; --bad:#ef9273; --wait:#d8c566;
  --ppo-lstm:#4da6dd; --ppo-patchtst:#9ad8f7; --sac-lstm:#ef7f3a; --sac-patchtst:#f3c25c;
  --dpg-lstm:#2fb28c; --dpg-patchtst:#93e3c8;
  --band:rgba(152,162,171,.30);
  --equal-weight:#e4e6e3; --hrp:#8f979e; --baseline:#c99ac4; --versus-0:#7cc0e8; --versus-1:#e0a458;
  --forecaster-0:#4da6dd; --forecaster-1:#ef7f3a; --forecaster-2:#2fb28c; --forecaster-3:#c99ac4;
  --forecaster-4:#e0c060; --forecaster-5:#98a2ab; --cash:#3a4249; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--paper); color:var(--ink);
  font:16px/1.55 "Source Sans 3","Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif; }
header, main, footer { max-width:1600px; margin:0 auto; padding:0 24px; }
header { padding-top:44px; } footer { padding-bottom:48px; color:var(--faint); font-size:14px; }
h1, h2 { font-family:"Source Serif 4",Charter,"Iowan Old Style",Georgia,"DejaVu Serif",serif; font-weight:600;
  line-height:1.2; letter-spacing:-.01em; }
h3 { font-size:17px; margin:26px 0 4px; }
h1 { font-size:34px; margin:0 0 6px; } h2 { font-size:23px; margin:0 0 6px; }
.lede { color:var(--faint); margin:0 0 20px; font-size:17px; }
nav { display:flex; flex-wrap:wrap; gap:4px 18px; border-block:1px solid var(--rule); padding:9px 0; font-size:14.5px; }
a { color:var(--accent); text-decoration:none; } a:hover { text-decoration:underline; }
section { margin-top:44px; } section > p, section > ul:not(.key) { max-width:80ch; } .note { color:var(--faint);
  font-size:14.5px; }
ul { padding-left:20px; margin:8px 0; } li { margin:3px 0; }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--rule); border-radius:8px; margin:14px 0; }
table { border-collapse:separate; border-spacing:0; width:100%; font-size:14px; font-variant-numeric:tabular-nums; }
th, td { padding:7px 10px; text-align:right; white-space:nowrap; border-bottom:1px solid var(--rule);
  vertical-align:top; }
th { font-weight:600; color:var(--faint); font-size:12.5px; vertical-align:bottom; white-space:normal;
  line-height:1.25; }
th:first-child, .text { text-align:left; } td.text { white-space:normal; min-width:14em; }
th:first-child { position:sticky; left:0; background:var(--card); }
tbody th { line-height:1.55; color:var(--ink); font-size:14px; font-weight:400; vertical-align:top;
  white-space:nowrap; }
tbody tr:last-child > * { border-bottom:0; } tr.group > * { border-top:2px solid var(--rule); }
.sharpe .beside { white-space:normal; min-width:10em; } .interval, .tries { white-space:nowrap; }
td small, th small { color:var(--faint); font-size:12.5px; }
code { font:12.5px ui-monospace,"DejaVu Sans Mono",Menlo,monospace; }
.badge { font-weight:600; white-space:normal; } td .badge { display:inline-block; min-width:8.5em; }
.place { display:block; white-space:normal; min-width:13em; }
.promoted, .rolled_back { color:var(--good); }
.kept { color:var(--bad); }
.beside, .difference small, .growth small, th .tries, td > .tries, .difference + small {
  display:block; line-height:1.35; }
.insufficient, .waiting { color:var(--wait); }
.chart { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:10px; margin:14px 0;
  min-width:0; }
.pair { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr)); gap:14px; }
.trio { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(330px,100%),1fr)); gap:14px; }
.pair .chart, .trio .chart { margin:0; }
.key { display:flex; flex-wrap:wrap; gap:3px 14px; margin:12px 0 0; padding:0; list-style:none; font-size:13.5px; }
.key i { display:inline-block; width:11px; height:11px; border-radius:2px; margin-right:5px; vertical-align:-1px; }
.drawing { overflow-x:auto; background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:10px;
  margin:14px 0; } .drawing svg { display:block; width:100%; min-width:520px; height:auto; }
td.bar { background:linear-gradient(to right,var(--bar) var(--w),var(--card) var(--w)) no-repeat center / 100% 60%; }
details { margin:10px 0; } summary { cursor:pointer; font-weight:600; } td details { margin:2px 0 0; }
td summary { font-weight:400; color:var(--accent); font-size:12.5px; }
pre { margin:4px 0 0; font:12px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,monospace; white-space:pre-wrap;
  overflow-wrap:anywhere; }
@media (max-width:640px) { header, main, footer { padding-inline:14px; } h1 { font-size:27px; }
section { margin-top:34px; } }
@page { size:landscape; margin:12mm; }
@media print { nav { display:none; } h2, h3, summary { break-after:avoid; } .chart, tr { break-inside:avoid; }
  header, main, footer { padding:0; max-width:none; } body { background:#fff; font-size:12px; }
  .scroll { overflow:visible; } .note { font-size:11px; } table, tbody th { font-size:9px; }
  th, td small, th small, code { font-size:8px; } th, td { padding:3px 4px; } th:first-child { position:static; }
  td.text { min-width:9em; }
  details::details-content { content-visibility:visible; block-size:auto; } }
"""
