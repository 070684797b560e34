"""How the page of a leak report looks: its style sheet.

System fonts, one accent colour, everything else a shade between ink and paper.  The names
of colours are used by the drawings too.  tests/test_leak_page.py reads the colours from
here and computes their contrast.
"""

from __future__ import annotations

__all__ = ["STYLE"]

LIGHT = """
    --paper: #fdfdfc; --card: #f6f6f3; --ink: #1d1d1b; --quiet: #5d5d58; --line: #dfdfd9;
    --accent: #ad3f17; --tint: #f8e9e2; --half: #d99d85;
    --dark: #55554f; --mid: #92928a; --pale: #cdcdc5;
"""
DARK = """
    --paper: #171716; --card: #20201e; --ink: #eae8e3; --quiet: #a8a69f; --line: #393936;
    --accent: #ff9f73; --tint: #3a261d; --half: #9a5f43;
    --dark: #b9b7af; --mid: #85837c; --pale: #4b4a46;
"""

STYLE = f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
@media print {{ :root {{ color-scheme: light; {LIGHT} --paper: #ffffff; }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }}
body {{
    margin: 0; background: var(--paper); color: var(--ink);
    font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
    font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}}
main, footer {{ max-width: 62rem; margin: 0 auto; padding: 0 1.5rem; }}
header {{ padding: 4rem 0 1rem; }}
h1, h2, h3 {{ line-height: 1.2; font-weight: 650; letter-spacing: -0.012em; text-wrap: balance; }}
h1 {{ font-size: clamp(1.7rem, 1.2rem + 2.2vw, 2.5rem); margin: 0.25rem 0 0.5rem; }}
h2 {{ font-size: 1.4rem; margin: 0.2rem 0 0.6rem; }}
h3 {{ font-size: 0.95rem; margin: 2.4rem 0 0.9rem; letter-spacing: 0; }}
p {{ margin: 0 0 0.8rem; max-width: 44rem; }}
a {{ color: inherit; text-decoration-color: var(--accent); text-underline-offset: 0.2em; }}
a:hover {{ color: var(--accent); }}
:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }}
code, .code {{
    font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace;
    font-size: 0.88em;
}}
.eyebrow {{ color: var(--accent); font-size: 0.85rem; font-weight: 600; margin: 0; }}
.quiet {{ color: var(--quiet); }}
.small {{ font-size: 0.88rem; }}
.number {{ white-space: nowrap; overflow-wrap: normal; }}
.gain {{ color: var(--accent); }}
section {{ margin: 3.5rem 0 0; }}
article {{ margin: 3.5rem 0 0; padding-top: 2.2rem; border-top: 1px solid var(--line); }}
.advice {{
    margin: 1.2rem 0 0; padding: 1rem 1.2rem; background: var(--tint);
    border-left: 3px solid var(--accent); border-radius: 0 6px 6px 0; max-width: 46rem;
}}
.advice p {{ margin: 0; }}
.advice strong {{ font-weight: 650; }}
dl {{
    display: grid; grid-template-columns: max-content 1fr; gap: 0.35rem 1.4rem; margin: 1.4rem 0 0;
}}
dt {{ color: var(--quiet); }}
dd {{ margin: 0; min-width: 0; }}
pre {{
    margin: 0.4rem 0 0; padding: 0.7rem 1rem; background: var(--card); border-radius: 6px;
    white-space: pre-wrap; overflow-wrap: anywhere;
}}
ul {{ margin: 0; padding-left: 1.1rem; max-width: 46rem; }}
li {{ margin: 0.25rem 0; }}
li::marker {{ color: var(--accent); }}
.wide {{ overflow-x: auto; margin-top: 0.8rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: 0.92rem; }}
caption {{ text-align: left; color: var(--quiet); padding: 0 0 0.5rem; }}
th, td {{
    padding: 0.45rem 1.2rem 0.45rem 0; text-align: left; vertical-align: top;
    border-bottom: 1px solid var(--line); overflow-wrap: break-word;
}}
th:last-child, td:last-child {{ padding-right: 0; }}
thead th {{ font-weight: 600; color: var(--quiet); font-size: 0.82rem; white-space: nowrap; }}
tbody th {{ font-weight: 400; min-width: 6rem; }}
th.right, td.right {{ text-align: right; white-space: nowrap; }}
td.text {{ min-width: 18rem; }}
.pair {{
    display: grid; gap: 1.4rem 3rem;
    grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
}}
.path {{
    display: grid; gap: 1.5rem 2.5rem; align-items: start;
    grid-template-columns: minmax(0, 22.5rem) minmax(0, 1fr);
}}
.path .wide {{ margin-top: 0; }}
svg {{ display: block; max-width: 100%; height: auto; overflow: visible; }}
svg text {{
    font: 12.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink);
}}
svg .code {{ font: 12px ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; }}
svg .quiet {{ fill: var(--quiet); font-size: 11.5px; }}
svg .mark {{ fill: var(--accent); }}
.box {{ fill: var(--card); stroke: var(--pale); }}
.box.last {{ fill: var(--tint); stroke: var(--accent); }}
.behind {{ fill: var(--paper); stroke: var(--half); }}
.arrow {{ stroke: var(--mid); fill: none; stroke-width: 1.25; }}
.tip {{ fill: var(--mid); }}
.axis {{ stroke: var(--line); }}
.bar {{ fill: var(--accent); }}
.area {{ fill: var(--tint); }}
.curve {{ fill: none; stroke: var(--accent); stroke-width: 1.75; stroke-linejoin: round; }}
.part-arenas_used {{ fill: var(--accent); }}
.part-arenas_free {{ fill: var(--half); }}
.part-libc_used {{ fill: var(--dark); }}
.part-libc_mmapped {{ fill: var(--mid); }}
.part-libc_free {{ fill: var(--pale); }}
.part-other {{ fill: var(--card); stroke: var(--mid); }}
.stack {{ width: 100%; height: 28px; margin: 1.2rem 0; }}
.swatch {{
    display: inline-block; vertical-align: -1px; margin-right: 0.55rem; width: 12px; height: 12px;
}}
footer {{ padding-top: 3rem; padding-bottom: 4rem; color: var(--quiet); font-size: 0.85rem; }}
@media (max-width: 56rem) {{ .path {{ grid-template-columns: minmax(0, 1fr); }} }}
@media (max-width: 36rem) {{
    main, footer {{ padding: 0 1.1rem; }}
    header {{ padding-top: 2rem; }}
    dl {{ grid-template-columns: 1fr; gap: 0; }}
    dd {{ margin-bottom: 0.7rem; }}
}}
@media print {{
    body {{ font-size: 10.5pt; }}
    main, footer {{ max-width: none; padding: 0; }}
    header {{ padding-top: 0; }}
    * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
    tr, svg, pre, .advice, dl {{ break-inside: avoid; }}
    h2, h3, caption {{ break-after: avoid; }}
    .wide {{ overflow: visible; }}
}}
"""
