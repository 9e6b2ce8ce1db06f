//! Accept, plan, record, claim, render, deliver, settle.
