namespace Hull.Registry.Http;

/// <summary>Header fields in the order they came. Names are compared without case (RFC 9110, 5.1).</summary>
public sealed class HttpHeaders
{
    private readonly List<(string Name, string Value)> _fields = [];

    public int Count => _fields.Count;

    public IReadOnlyList<(string Name, string Value)> Fields => _fields;

    /// <summary>The first field of that name, or null.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var (key, value) in _fields)
            {
                if (key.Equals(name, StringComparison.OrdinalIgnoreCase)) return value;
            }

            return null;
        }
    }

    /// <summary>All fields of that name joined by commas, or null.</summary>
    public string? All(string name)
    {
        string? all = null;
        foreach (var (key, value) in _fields)
        {
            if (key.Equals(name, StringComparison.OrdinalIgnoreCase)) all = all is null ? value : all + ", " + value;
        }

        return all;
    }

    public int CountOf(string name) => _fields.Count(field => field.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public void Add(string name, string value) => _fields.Add((name, value));
}
