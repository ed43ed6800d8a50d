extension MethodRegistry {
    /// The methods that the program ships.
    public static let standard = MethodRegistry([])
}
