"""Measures of throughput, latency and footprint beside their floors; nothing is asserted."""
