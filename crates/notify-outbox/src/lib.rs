//! The ledger's trait, records and state machine.
