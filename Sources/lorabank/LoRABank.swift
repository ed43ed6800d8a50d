import ArgumentParser

@main
struct LoRABank: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "lorabank")
}
