// Starts Swagger UI on the description that the page names.
const page = document.getElementById("swagger-ui");

SwaggerUIBundle({
  url: page.dataset.schema,
  domNode: page,
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  validatorUrl: null,
});
