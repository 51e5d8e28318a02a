"""Any service that speaks HTTP: REST, GraphQL or SOAP."""
