namespace Hull.Linux.Abi;

/// <summary>
/// The C header that declares what the marked class of constants, enumeration or struct mirrors. The ABI test
/// includes it and lets the C compiler compare every value, size and offset.
/// </summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Enum)]
public sealed class CHeaderAttribute(params string[] headers) : Attribute
{
    public string[] Headers { get; } = headers;
}

/// <summary>The C name of a struct, such as <c>struct open_how</c>. Fields carry their C names.</summary>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class CNameAttribute(string name) : Attribute
{
    public string Name { get; } = name;
}

/// <summary>The kernel that introduced a constant; older system headers do not know it, so it is compared only where defined.</summary>
[AttributeUsage(AttributeTargets.Field | AttributeTargets.Property)]
public sealed class SinceAttribute(string kernel) : Attribute
{
    public string Kernel { get; } = kernel;
}
