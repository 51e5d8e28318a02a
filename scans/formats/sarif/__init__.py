"""SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), read leniently: real files break the schema in many ways."""
