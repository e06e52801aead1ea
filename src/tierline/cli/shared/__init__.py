"""What commands share: the API's client, tables, options."""
