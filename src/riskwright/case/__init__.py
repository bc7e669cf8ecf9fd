"""What a use case may say: strict YAML, its parts, its files; the lowest floor after errors."""
