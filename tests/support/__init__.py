"""What the tests stand on: real servers, fresh databases, running services, builders."""
