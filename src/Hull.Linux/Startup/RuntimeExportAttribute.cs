namespace System.Runtime;

/// <summary>
/// Known to the native compiler by its name alone: the method gets a symbol of that name in the program, and is compiled as it
/// is, without the entry code that would need the managed runtime.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RuntimeExportAttribute(string entry) : Attribute
{
    public string Entry { get; } = entry;
}
