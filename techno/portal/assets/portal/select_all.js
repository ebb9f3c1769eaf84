// The box in a table's head that ticks all boxes of its column.

export function enableSelectAll(root) {
  const all = root.querySelector("#action-toggle");
  if (!all) return;
  const boxes = [...root.querySelectorAll("input.action-select")];
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) {
    box.addEventListener("change", () => {
      all.checked = boxes.every((each) => each.checked);
      all.indeterminate = !all.checked && boxes.some((each) => each.checked);
    });
  }
}
