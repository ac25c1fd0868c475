"""A model of the sign flow's world (docs/model.md): databases, broker and participants as plain values.

What is decided is decided by production code: the stepper (`shared.messaging.saga`), the flow's definition
(`services.proposals.sign_flow`), what T3 writes and what the report says (`services.proposals.domain.signing`).
"""
