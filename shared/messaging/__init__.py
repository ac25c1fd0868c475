"""What goes between services: envelopes, the bus, the outbox, consumers, parked messages, sagas."""
