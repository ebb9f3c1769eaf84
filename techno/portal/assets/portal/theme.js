// The button that goes through the colours: the system's, light, dark. The choice is a cookie, so
// that the server sends the next page in the right colours from its first byte.

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const YEAR_S = 31536000;

function show(button, theme) {
  button.textContent = SIGNS[theme];
  button.title = button.dataset[theme];
  button.setAttribute("aria-label", button.dataset[theme]);
}

export function enableThemes(root) {
  const page = root.documentElement;
  const button = root.querySelector("[data-theme-button]");
  if (!button) return;
  show(button, page.dataset.theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    page.dataset.theme = NEXT[page.dataset.theme] ?? "auto";
    document.cookie = `theme=${page.dataset.theme};path=/;max-age=${YEAR_S};samesite=lax`;
    show(button, page.dataset.theme);
  });
}
