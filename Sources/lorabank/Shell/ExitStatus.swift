/// Which of several failures decides the exit status of a command over many items.
enum ExitStatus {
    /// From worst to mildest: defects, damage of the bank, the system, hostile and broken input, refusals, the rest.
    static let order: [Int32] = [1, 9, 10, 4, 3, 8, 5, 7, 6, 11, 12, 2, 0]

    static func worse(_ a: Int32, _ b: Int32) -> Int32 { order.first { $0 == a || $0 == b } ?? max(a, b) }
}
