"""The MQTT broker: one embedded for the demo and single sites, and the configuration of Mosquitto."""
