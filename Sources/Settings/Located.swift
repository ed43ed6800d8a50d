/// A value with the place where it was written.
public struct Located<Value: Sendable>: Sendable {
    public var value: Value
    public var place: SourcePlace

    public init(_ value: Value, at place: SourcePlace) {
        self.value = value
        self.place = place
    }
}

extension Located: Equatable where Value: Equatable {}
extension Located: Hashable where Value: Hashable {}
