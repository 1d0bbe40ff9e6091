"""The whole client over real TCP, through a proxy that draws a fault for each request."""
