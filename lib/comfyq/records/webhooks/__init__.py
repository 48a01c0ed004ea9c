"""Records of webhooks: deliveries, and what is stored of tenants' receivers."""
