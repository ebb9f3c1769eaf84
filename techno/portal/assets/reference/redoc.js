// Starts Redoc on the description that the page names.
const page = document.getElementById("redoc");

Redoc.init(page.dataset.schema, {}, page);
