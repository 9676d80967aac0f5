#include "dashboard/report_parts.h"

namespace kiln {

// Of text on its background at least 4.5 to 1, of what is drawn 3 to 1: the page's test computes it.
void WriteStyle(HtmlWriter& html) {
  html.Style(R"css(
:root{--page:#ffffff;--panel:#f4f6f8;--text:#1b2430;--soft:#4a5666;--rule:#c5cdd6;--link:#0b57a4;--good:#0c6b37;--bad:#a3221b;--curve:#0b57a4;--bar:#5b86b8}
@media (prefers-color-scheme:dark){:root{--page:#12171e;--panel:#1b222c;--text:#e6ebf1;--soft:#b3bfcd;--rule:#3c4856;--link:#8ec3ff;--good:#7fd6a0;--bad:#ff9d94;--curve:#8ec3ff;--bar:#4a76a8}}
*{box-sizing:border-box}
html{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;background:var(--page);color:var(--text)}
body{margin:0}
header,nav,main,footer,.stays p{max-width:96rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.4rem;margin:.8rem 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .3rem}
h3{font-size:1rem;margin:.2rem 0;overflow-wrap:anywhere}
p{margin:.3rem 0 .6rem;max-width:60rem;overflow-wrap:anywhere}
section{border-top:1px solid var(--rule);padding:.9rem 0;scroll-margin-top:4.6rem}
a{color:var(--link)}
a:focus-visible,button:focus-visible,select:focus-visible,input:focus-visible,[tabindex]:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.stays{position:sticky;top:0;z-index:2;background:var(--page)}
.stays p{padding-bottom:.3rem}
.stays p:empty{display:none}
nav ul{list-style:none;display:flex;gap:.2rem 1rem;margin:0;padding:.3rem 0;overflow-x:auto;white-space:nowrap}
nav a{display:inline-block;padding:.2rem 0}
.skip{position:absolute;left:-99rem}
.choices{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center;margin:.4rem 0}
.choices[hidden]{display:none}
select,input,button{font:inherit;color:var(--text);background:var(--panel);border:1px solid var(--soft);border-radius:.3rem;padding:.2rem .5rem;max-width:100%}
td button{font-size:.875rem;margin:.1rem 0}
button:disabled{color:var(--soft);border-style:dashed}
.skip:focus{position:static}
.soft{color:var(--soft)}
.headline{font-size:1.25rem;font-weight:600}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.4rem,1fr));gap:.5rem;margin:.6rem 0}
.facts div{background:var(--panel);border:1px solid var(--rule);border-radius:.3rem;padding:.4rem .6rem}
.facts dt{color:var(--soft);font-size:.85rem}
.facts dd{margin:0;font-size:1.1rem;font-weight:600;overflow-wrap:anywhere}
.scroll{overflow-x:auto;max-width:100%;margin:.5rem 0;border:1px solid var(--rule);border-radius:.3rem}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.4rem .6rem;color:var(--soft);max-width:calc(100vw - 2.5rem)}
th,td{padding:.25rem .6rem;text-align:left;vertical-align:top;border-top:1px solid var(--rule);white-space:nowrap}
thead th{background:var(--panel)}
tbody th{font-weight:600}
th:first-child{position:sticky;left:0;z-index:1}
tbody th{background:var(--page)}
.n{text-align:right}
.w{min-width:16rem;white-space:normal}
.good{color:var(--good);font-weight:600}
.bad{color:var(--bad);font-weight:600}
code{font:.8125rem/1.4 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.w code{overflow-wrap:anywhere}
td code{user-select:all}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.8rem}
figure{margin:0;background:var(--panel);border:1px solid var(--rule);border-radius:.3rem;padding:.5rem}
figcaption{font-size:.875rem;color:var(--soft)}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--text);font-size:12px}
.axis{stroke:var(--soft)}
.curve{fill:none;stroke:var(--curve);stroke-width:2}
.bar{fill:var(--bar)}
.bars{max-width:46rem;margin:.6rem 0}
details{font-size:.875rem}
summary{padding:.3rem 0;cursor:pointer;color:var(--link)}
@media (max-width:40rem){
.bars{display:none}
.headline{font-size:1.1rem}
th,td{padding:.25rem .4rem}
tbody th{font-size:.8125rem;white-space:normal;min-width:10rem;overflow-wrap:anywhere}
}
@page{size:landscape;margin:1cm}
@media print{
:root{--page:#ffffff;--panel:#ffffff;--text:#000000;--soft:#333333;--rule:#999999;--link:#000000;--good:#000000;--bad:#000000;--curve:#000000;--bar:#888888}
nav,.choices,.skip,td button{display:none}
.stays,th:first-child{position:static}
html{font-size:11px}
.scroll{overflow:visible;border:0}
table{font-size:8px}
caption{font-size:11px}
th,td,.w{white-space:normal;min-width:0;padding:.1rem .25rem}
td.n{white-space:nowrap}
code{font-size:7px;overflow-wrap:anywhere}
figure,tr,h2{break-inside:avoid}
h2{break-after:avoid}
}
)css");
}

}  // namespace kiln
