// The key "/" goes to the page's search, as in many tools; not while somebody types.

const TYPED_INTO = "input, textarea, select, [contenteditable]";

export function enableSearchKey(root) {
  const search = root.querySelector('main input[type="search"]');
  if (!search) return;
  root.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(TYPED_INTO)) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
}
