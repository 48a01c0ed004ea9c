"""APIs of others that this server speaks as well, each switched on by a setting."""
