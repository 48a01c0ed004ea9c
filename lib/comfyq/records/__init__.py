"""Jobs, subscriptions and workers as items of the table: mapped once, for every engine."""
