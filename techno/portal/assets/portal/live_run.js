// What has not ended, a run or a verification: how far it has come is fetched again and again, and
// its page once it is over.
// While the page is not looked at nothing is asked.

const EVERY_MS = 1500;
const PATIENCE_MS = 10000;

function show(root, told) {
  for (const [name, stream] of Object.entries(told.streams ?? {})) {
    const area = root.querySelector(`[data-live-stream="${name}"]`);
    if (!area || area.textContent === stream.text) continue;
    const following = area.scrollTop + area.clientHeight >= area.scrollHeight - 8;
    area.textContent = stream.text;
    area.hidden = stream.text === "";
    area.parentElement.querySelector("[data-live-empty]").hidden = stream.text !== "";
    area.parentElement.querySelector("[data-live-cut]").hidden = !stream.cut;
    if (following) area.scrollTop = area.scrollHeight;
  }
  for (const [name, text] of Object.entries(told.texts ?? {})) {
    const place = root.querySelector(`[data-live-text="${name}"]`);
    if (place && place.textContent !== text) place.textContent = text;
  }
  const bar = root.querySelector("progress");
  if (bar && told.total) {
    bar.max = told.total;
    bar.value = told.done;
  }
}

async function look(root) {
  const answer = await fetch(root.dataset.live, { headers: { Accept: "application/json" } });
  if (!answer.ok) return PATIENCE_MS;
  const told = await answer.json();
  if (told.state !== root.dataset.state) {
    location.reload();
    return null;
  }
  show(root, told);
  return EVERY_MS;
}

export function watchRun(document) {
  const root = document.querySelector("[data-live]");
  if (!root) return;
  for (const area of root.querySelectorAll("[data-live-stream]")) area.scrollTop = area.scrollHeight;
  const typed = () => [...document.querySelectorAll("main input")].some((input) => input.type !== "hidden" && input.value !== "");
  const turn = async () => {
    let pause = EVERY_MS;
    if (!document.hidden && !typed()) {
      try {
        pause = await look(root);
      } catch {
        pause = PATIENCE_MS; // the service is away; it may come back
      }
    }
    if (pause !== null) setTimeout(turn, pause);
  };
  setTimeout(turn, EVERY_MS);
}
