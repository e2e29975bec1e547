//! One stream's two halves: what waits to be sent and acknowledged, and what has arrived.
