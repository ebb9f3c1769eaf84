// Addresses that are worth keeping: filters that are not used stay out of them, and a page that
// must not be asked for again (a key was issued) stands under another address.

export function tidyAddresses(root) {
  for (const form of root.querySelectorAll("form[data-filters]")) {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
    });
  }
  const page = root.querySelector("[data-leave-for]");
  if (page) history.replaceState(null, "", page.dataset.leaveFor);
}
