// Routing: LoRA-Mixer, trained routers over frozen adapters.
