"use strict";
// A press on a heading sorts the ranked rows of its table; bounds stay below. Cells without a key come last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const isRising = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isRising ? "ascending" : "descending");
    const isNumber = head.classList.contains("number");
    const compare = (one, other) => {
      const a = one.cells[column].dataset.sort, b = other.cells[column].dataset.sort;
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const order = isNumber ? Number(a) - Number(b) : a.localeCompare(b);
      return isRising ? order : -order;
    };
    const body = table.querySelector("tbody.ranked");
    if (body) body.append(...[...body.rows].sort(compare));
  }));
}
