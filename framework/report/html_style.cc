// How a report's page looks, and what its script does.
#include "report/html.h"
#include "report/plots.h"

namespace dbsa {
namespace {

// In a narrow window each row of a table is a block of named figures. Matrices scroll inside
// themselves, so the page never does; paper takes them whole.
constexpr const char* kStyle = R"css(
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.55 system-ui, "Segoe UI", "Noto Sans", sans-serif; }
h1, h2, h3, h4 { line-height: 1.2; font-weight: 650; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; margin: 0 0 .8rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 3.2rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.15rem; margin: 2.4rem 0 .7rem; }
h4, figure h4 { margin: .2rem 0; font-size: .95rem; }
p { max-width: 42rem; margin: .6rem 0; overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; }
a { color: var(--link); }
nav ul { list-style: none; margin: .8rem 0 0; padding: 0; columns: 16rem; font-size: .93rem; }
nav li { overflow-wrap: anywhere; break-inside: avoid; }
nav li.l2 { font-weight: 600; }
nav li.l3 { padding-left: 1rem; }
nav a { display: inline-block; padding: .14rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .36rem .8rem .36rem 0; text-align: left; vertical-align: baseline; }
th + th, td + td { padding-left: .8rem; }
thead th { color: var(--soft); font-weight: 550; border-bottom: 1.5px solid var(--ink);
  vertical-align: bottom; }
thead button { all: unset; cursor: pointer; }
thead button:hover { color: var(--ink); text-decoration: underline; }
thead button:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
th[aria-sort] { color: var(--ink); }
th[aria-sort="ascending"] button::after { content: " ↑"; }
th[aria-sort="descending"] button::after { content: " ↓"; }
tbody td { border-bottom: 1px solid var(--line); }
tbody tr:hover td { background: var(--faint); }
.n { text-align: right; }
td.n { white-space: nowrap; }
td:not(.n) { min-width: 6rem; max-width: 24rem; overflow-wrap: anywhere; }
svg.m { flex: none; width: .8rem; height: .8rem; margin-right: .4rem; position: relative; top: .06rem; }
figure { margin: 1rem 0 1.4rem; max-width: 42rem; }
figure > svg { display: block; height: auto; }
figcaption { color: var(--soft); font-size: .87rem; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .15rem 1.2rem; margin: .2rem 0 .5rem;
  padding: 0; font-size: .87rem; }
ul.legend li { display: flex; align-items: baseline; overflow-wrap: anywhere; }
ul.rows { list-style: none; margin: .6rem 0; padding: 0; font-size: .9rem; }
ul.rows li { margin-bottom: .55rem; }
ul.rows div { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; }
ul.rows div span { overflow-wrap: anywhere; min-width: 0; }
ul.rows .v { font-variant-numeric: tabular-nums; margin-left: auto; }
ul.rows svg:not(.m) { display: block; width: 100%; overflow: visible; }
.rows .grid { stroke: var(--line); stroke-width: 1; }
.rows .interval { stroke-width: 2.5; }
.rows svg:not(.m) circle, .rows svg:not(.m) rect { stroke: none; }
.rows .published { fill: var(--ink); stroke: none; font-size: 1.1rem; }
.rows .axis { margin: 0; font-size: .82rem; }
.rows .axis text { fill: var(--soft); }
details { border-bottom: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; padding: .2rem 0; }
table.matrix { font-size: .85rem; border-collapse: separate; border-spacing: 1px; }
table.matrix th, table.matrix td { padding: .22rem .3rem; border: 0; min-width: 1.9rem;
  text-align: center; vertical-align: middle; }
table.matrix th { color: var(--ink); font-weight: 400; }
table.matrix tbody th { text-align: left; min-width: 8rem; max-width: 20rem; overflow-wrap: anywhere;
  position: sticky; left: 0; background: var(--ground); }
table.matrix td { background: var(--faint); }
table.matrix td.right { background: color-mix(in srgb, var(--s0) calc(15% + 40% * var(--h)), var(--ground)); }
table.matrix td.wrong { background: color-mix(in srgb, var(--s1) calc(15% + 45% * var(--h)), var(--ground)); }
@media (max-width: 40rem) {
  body { padding: 1.4rem 1rem 3rem; }
  table.matrix tbody th { max-width: 9rem; min-width: 6rem; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem; }
  .table table, .table tbody, .table td { display: block; }
  .table thead { display: none; }
  .sorts .table thead, .sorts .table thead tr { display: flex; flex-wrap: wrap; gap: 0 .9rem; }
  .table thead tr::before { content: "Sort by"; font-size: .87rem; color: var(--soft); }
  .table thead th, .table tbody td { border: 0; padding: .1rem 0; text-align: left; }
  .table thead th { font-size: .87rem; text-decoration: underline; text-underline-offset: .2em; }
  .table tbody tr { display: grid; grid-template-columns: 1fr 1fr; gap: .1rem 1rem; padding: .5rem 0;
    border-bottom: 1px solid var(--line); }
  .table td.n { white-space: normal; overflow-wrap: anywhere; }
  .table td:not(.n) { grid-column: 1 / -1; max-width: none; }
  .table td::before { content: attr(data-t) ": "; color: var(--soft); }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; } figure, tr, ul.rows li { break-inside: avoid; }
  h2, h3, summary { break-after: avoid; } nav { display: none; }
  table.matrix td, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details:not([open]) { display: none; }
}
)css";

// Without it the page has all it has, in the order of its tables. A number sorts by the first
// number of its cell, rows without one come last.
constexpr const char* kScript = R"js(
'use strict';
(function () {
  function key(row, column, number) {
    var text = row.cells[column].textContent.trim();
    if (!number) return text;
    var found = text.replace(/,/g, '').match(/-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?/);
    return found ? parseFloat(found[0]) : null;
  }
  function order(a, b) {
    if (typeof a === 'number') return a - b;
    return a.localeCompare(b, undefined, {numeric: true});
  }
  function sort(table, head) {
    var column = head.cellIndex, number = head.classList.contains('n');
    var sign = head.getAttribute('aria-sort') === (number ? 'descending' : 'ascending') ? 1 : -1;
    if (!number) sign = -sign;
    table.querySelectorAll('th').forEach(function (th) { th.removeAttribute('aria-sort'); });
    head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending');
    var body = table.tBodies[0], rows = Array.from(body.rows);
    rows = rows.map(function (row) { return {row: row, key: key(row, column, number)}; });
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return sign * order(a.key, b.key);
    });
    rows.forEach(function (entry) { body.appendChild(entry.row); });
  }
  document.querySelectorAll('.table table').forEach(function (table) {
    table.querySelectorAll('thead th').forEach(function (head) {
      var button = document.createElement('button');
      button.type = 'button';
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener('click', function () { sort(table, head); });
    });
  });
  document.documentElement.classList.add('sorts');
})();
)js";

}  // namespace

std::string page_style() {
  return "\n:root { color-scheme: light dark; --ground: #fff; --ink: #1c1c1c; --soft: #5f5f5f; "
         "--line: #d9d9d9; --faint: #f6f6f4; --link: #0a5ea8; " +
         colour_variables(false) +
         "}\n@media (prefers-color-scheme: dark) { :root { --ground: #15171a; --ink: #e8e8e6; "
         "--soft: #a9a9a6; --line: #3a3d42; --faint: #1e2125; --link: #7fbcf2; " +
         colour_variables(true) +
         "} }\n@media print { :root { color-scheme: light; --ground: #fff; --ink: #1c1c1c; "
         "--soft: #5f5f5f; --line: #d9d9d9; --faint: #f6f6f4; --link: #0a5ea8; " +
         colour_variables(false) + "} }" + kStyle;
}

std::string page_script() { return kScript; }

}  // namespace dbsa
