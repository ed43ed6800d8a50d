import Networks
import Settings

/// What an evaluation runs on: a backbone, labelled data, a head that turns features into classes, and tasks.
///
/// ```yaml
/// name: clinc150-minilm
/// backbone: models/minilm
/// data: { path: data/clinc150, split: test }
/// input: { max_tokens: 32 }
/// feature: mean
/// normalize: l2
/// head: { path: head_zeroshot.safetensors, scale: 20 }
/// tasks: domain
/// ```
/// A suite is only the description; ``LoadedSuite`` opens what it names.
public struct Suite: Sendable {
    public enum Split: String, Sendable, CaseIterable {
        case train, val, test
    }

    public enum Normalisation: String, Sendable, CaseIterable {
        case none, l2
    }

    /// A part of a split: of each class the samples behind the first `skip`, at most `take`, in source order.
    public struct PerClass: Sendable, Hashable {
        public var skip: Int
        public var take: Int?

        public init(skip: Int = 0, take: Int? = nil) {
            self.skip = skip
            self.take = take
        }
    }

    public struct Data: Sendable {
        /// A folder (relative ones start at the suite's folder) or a name that the bank knows.
        public var reference: Located<String>
        public var split: Split
        /// nil: the whole split.
        public var perClass: PerClass?
    }

    /// How samples become numbers.
    public struct Input: Sendable, Hashable {
        /// Texts: tokens per sample, special tokens included; nil: as many as the backbone reads.
        public var maxTokens: Int?
        /// Images: pixel = (byte / scale − mean) / std; one number, or one per channel.
        public var mean: [Float] = [0]
        public var std: [Float] = [1]
        /// nil: the largest value that the data describe.
        public var scale: Float?
        /// Images of another size are brought to the backbone's, bilinear.
        public var resize = false
    }

    /// A head that is computed from training samples.
    public struct FittedHead: Sendable, Hashable {
        public enum Kind: String, Sendable, CaseIterable {
            /// Nearest class mean.
            case ncm
            /// Ridge regression on random features.
            case ridge
            /// Linear discriminants with a shared covariance.
            case lda
        }

        /// Whose features the head is fitted on.
        public enum Features: String, Sendable, CaseIterable {
            /// The evaluated subject's own: every subject has its own head.
            case subject
            /// The bare backbone's: one head for all.
            case backbone
        }

        public var kind: Kind
        public var split: Split = .train
        public var perClass: PerClass?
        public var features: Features = .subject
        public var scale: Float = 1
        /// Ridge: nil chooses λ on a held-out fifth of the samples.
        public var lambda: Double?
        /// Ridge: number of random features, 0 for none; nil: min(2000, 20·width).
        public var hidden: Int?
        /// Discriminants: 0…1.
        public var shrinkage = 0.1
        public var seed: UInt64 = 1
    }

    public enum Head: Sendable, Hashable {
        /// `weight` [classes, width] and optional `bias` [classes] in a safetensors file; logits = scale·(f·wᵀ) + b.
        case file(path: String, scale: Float)
        case fitted(FittedHead)
        /// Texts only: the unit-length features of the class names (`_` read as a space) through the bare backbone.
        case classNames(scale: Float)
        /// The trained head that travels with each adapter (`modules_to_save`).
        case adapter
        /// The classifier that the backbone's own checkpoint carries.
        case backbone
    }

    public enum Tasks: Sendable, Hashable {
        /// Those of the data's `meta.json`.
        case ofData
        /// One task per value of this column.
        case column(String)
        case groups([Group])
    }

    /// A task written out: class ids or class names.
    public struct Group: Sendable, Hashable {
        public var name: String?
        public var classes: [Located<String>]
    }

    public var name: String
    /// A folder or a name that the bank knows.
    public var backbone: Located<String>
    public var data: Data
    public var input: Input
    public var feature: Pooling
    public var normalisation: Normalisation
    public var head: Head
    public var tasks: Tasks
    /// Where the `tasks` key stands.
    public var tasksPlace: SourcePlace
    /// Where relative paths start.
    public var folder: String
    /// What `feature` and `input` do not say is taken from the backbone: the class token for vision transformers, and
    /// the mean and standard deviation that its config.json notes. Runs that train do this; suites say everything.
    public var asksBackbone = false
    public var saysFeature = true
    public var saysInput = true
    /// The file; nil for text.
    public var path: String?
}
