"""The asyncio-native SDK for trading through Mizar with self-hosted strategies."""
