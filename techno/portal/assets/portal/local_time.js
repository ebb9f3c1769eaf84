// Times arrive in UTC. Here they become the reader's own; UTC stays in the title.

const two = (number) => String(number).padStart(2, "0");

/** Return a date as `2026-01-31T09:30:00` in the reader's time zone. */
function localText(date) {
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Return the short name of the reader's time zone at a date. */
function zoneName(date) {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}

function showTime(element) {
  const date = new Date(element.dateTime);
  if (Number.isNaN(date.getTime())) return;
  element.textContent = localText(date).replace("T", " ");
}

// An input for a time holds UTC as the server wrote it; the person types local time; what is sent
// carries its zone.
function showInput(input) {
  if (input.value) input.value = localText(new Date(`${input.value}Z`));
  const label = input.labels?.[0]?.querySelector("[data-zone]");
  if (label) label.textContent = zoneName(input.value ? new Date(input.value) : new Date());
  input.form?.addEventListener("formdata", (event) => {
    const date = new Date(input.value);
    if (!Number.isNaN(date.getTime())) event.formData.set(input.name, date.toISOString());
  });
}

export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) showTime(element);
  for (const input of root.querySelectorAll("input[data-utc]")) showInput(input);
}
