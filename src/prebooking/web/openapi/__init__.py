"""/openapi.json: how routes are declared, and the document that is generated from them."""
