(() => {
  const field = document.getElementById("find");
  if (!field) return;
  const found = document.getElementById("found");
  const rows = Array.from(document.querySelectorAll("#tasks tbody tr"), (row) => [
    row,
    Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase(),
  ]);
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) shown += 1;
    }
    found.textContent = words.length ? shown + " / " + rows.length : "";
  };
  document.querySelector(".search").hidden = false;
  field.addEventListener("input", search);
  search();
})();
