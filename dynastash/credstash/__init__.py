"""The format of credstash, dynastash's predecessor: read whole, and written so that every old reader takes it."""
