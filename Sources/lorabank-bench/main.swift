print("lorabank-bench")
