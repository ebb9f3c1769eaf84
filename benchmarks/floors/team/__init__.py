"""Floor T: DRF, djangorestframework-api-key, and one row by the ORM for each request."""
