"""What the end-to-end tests are written with: the server under test, clients that speak raw bytes, origins, certificates."""
