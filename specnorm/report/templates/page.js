"use strict";
// The page says all that it has to say without this: here are sorting, copying, and tables that a keyboard can scroll.

// A column's title becomes a button that sorts by it. The order lies beside each figure where its text is not the order.
const order = entry => entry.dataset.order ?? entry.textContent.trim();
const compare = (one, other) => {
  const [first, second] = [one, other].map(text => text === "" ? NaN : Number(text));
  if (!Number.isNaN(first) && !Number.isNaN(second)) return first - second;
  return one.localeCompare(other, "en", { numeric: true });
};
for (const table of document.querySelectorAll("table.listing")) {
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...title.childNodes);
    title.append(button);
    button.addEventListener("click", () => {
      // Figures start with the largest, names with the first; what is absent stays last.
      const first = title.classList.contains("number") ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      const way = title.ariaSort === first ? second : first;
      titles.forEach(each => each.removeAttribute("aria-sort"));
      title.setAttribute("aria-sort", way);
      const sign = way === "ascending" ? 1 : -1, body = table.tBodies[0];
      const absent = row => order(row.cells[column]) === "";
      const rows = [...body.rows].sort((one, other) =>
        absent(one) - absent(other) || sign * compare(order(one.cells[column]), order(other.cells[column])));
      body.append(...rows);
    });
  });
}

// Where the clipboard is not to be had, the text is selected, for Ctrl+C.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy), said = button.nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(source);
      said.textContent = "Selected: copy it with the keyboard.";
    }
  });
}

// What is wider than its place can be reached, and then scrolled with the arrow keys.
const reachable = () => {
  for (const place of document.querySelectorAll(".scroll, pre")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
};
addEventListener("resize", reachable);
document.addEventListener("toggle", reachable, true);
reachable();
