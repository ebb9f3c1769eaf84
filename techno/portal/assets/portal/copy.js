// Buttons that copy what stands in their data-copy.

const SHOWN_MS = 1500;

async function copy(text) {
  // Browsers offer the clipboard only to https and localhost; the older way works elsewhere.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offstage";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser refused to copy");
}

async function onClick(event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await copy(button.dataset.copy);
  } catch {
    return; // nothing was copied, and nothing says that it was
  } finally {
    button.focus();
  }
  tell(button);
}

function tell(button) {
  const bubble = document.createElement("span");
  bubble.setAttribute("role", "status");
  bubble.className = "copied";
  button.append(bubble);
  bubble.textContent = document.body.dataset.copied ?? "✓";
  setTimeout(() => bubble.remove(), SHOWN_MS);
}

export function enableCopying(root) {
  root.documentElement.classList.add("scripted");
  root.addEventListener("click", onClick);
}
