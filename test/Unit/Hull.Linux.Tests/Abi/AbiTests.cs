using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hull.Linux.Abi;
using Hull.Testing;

namespace Hull.Linux.Tests.Abi;

/// <summary>The C compiler compares every constant, size and offset of Hull.Linux.Abi with the system's headers.</summary>
public sealed class AbiTests
{
    public static TheoryData<string> Types => new(Declarations().Select(type => type.FullName!));

    [Theory]
    [MemberData(nameof(Types))]
    public void The_C_compiler_agrees(string name)
    {
        var compiler = Require.Program("gcc");
        var type = typeof(Errno).Assembly.GetType(name)!;
        using var temporary = new TemporaryDirectory("hull-abi");
        var (program, checks) = Generate(type);
        Assert.True(checks > 0, $"{name} declares nothing that can be compared");
        File.WriteAllText(temporary["abi.c"], program);
        var result = Command.Run(compiler, "-std=gnu11", "-fsyntax-only", temporary["abi.c"]);
        Assert.True(result.ExitCode == 0, $"{result.Error}\n{program}");
    }

    [Fact]
    public void A_wrong_value_would_be_noticed()
    {
        var compiler = Require.Program("gcc");
        using var temporary = new TemporaryDirectory("hull-abi");
        File.WriteAllText(temporary["abi.c"], "#include <fcntl.h>\n" + ConstantCheck("O_CREAT", Fcntl.O_CREAT + 1, since: false));
        Assert.NotEqual(0, Command.Run(compiler, "-fsyntax-only", temporary["abi.c"]).ExitCode);
    }

    private static IEnumerable<Type> Declarations() =>
        typeof(Errno).Assembly.GetTypes().Where(type => type.GetCustomAttribute<CHeaderAttribute>() is not null).OrderBy(type => type.FullName);

    private static (string Program, int Checks) Generate(Type type)
    {
        var text = new StringBuilder("#define _GNU_SOURCE\n#include <stddef.h>\n");
        foreach (var header in type.GetCustomAttribute<CHeaderAttribute>()!.Headers) text.Append($"#include <{header}>\n");
        var checks = 0;
        foreach (var (name, value, since) in type.IsEnum ? EnumConstants(type) : Constants(type))
        {
            if (!name.Any(char.IsAsciiLetterLower) || name.StartsWith("SYS_", StringComparison.Ordinal))
            {
                text.Append(ConstantCheck(name, value, since));
                checks++;
            }
        }

        if (type.GetCustomAttribute<CNameAttribute>() is { } c) checks += AddStruct(text, type, c.Name);
        return (text.ToString(), checks);
    }

    private static int AddStruct(StringBuilder text, Type type, string name)
    {
        var size = (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;
        text.Append($"_Static_assert(sizeof({name}) == {size}, \"size\");\n");
        var checks = 1;
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
        {
            // The reserved tail of statx has got names meanwhile.
            var guard = field.Name is "stx_dio_mem_align" or "stx_dio_offset_align";
            if (guard) text.Append("#ifdef STATX_DIOALIGN\n");
            text.Append($"_Static_assert(offsetof({name}, {field.Name}) == {Offset(type, field)}, \"{field.Name}\");\n");
            if (guard) text.Append("#endif\n");
            checks++;
        }

        return checks;
    }

    private static long Offset(Type type, FieldInfo field) => Marshal.OffsetOf(type, field.Name).ToInt64();

    private static IEnumerable<(string Name, object Value, bool Since)> Constants(Type type)
    {
        foreach (var field in type.GetFields(BindingFlags.Static | BindingFlags.Public))
        {
            if (field.IsLiteral) yield return (field.Name, field.GetRawConstantValue()!, field.GetCustomAttribute<SinceAttribute>() is not null);
        }

        foreach (var property in type.GetProperties(BindingFlags.Static | BindingFlags.Public))
            yield return (property.Name, property.GetValue(null)!, property.GetCustomAttribute<SinceAttribute>() is not null);
    }

    private static IEnumerable<(string Name, object Value, bool Since)> EnumConstants(Type type) =>
        Enum.GetNames(type).Where(name => name != "None").Select(name => (name, Convert.ChangeType(Enum.Parse(type, name), Enum.GetUnderlyingType(type)), false));

    /// <summary>Compared as 64 bits: C has many of them signed, and the kernel looks at bits.</summary>
    private static string ConstantCheck(string name, object value, bool since)
    {
        var bits = value switch
        {
            ulong number => number,
            nint number => unchecked((ulong)number),
            _ => unchecked((ulong)Convert.ToInt64(value)),
        };
        var mask = value is int or uint or short or ushort ? 0xffffffffUL : ulong.MaxValue;
        var check = $"_Static_assert(((unsigned long long)({name}) & {mask}ULL) == {bits & mask}ULL, \"{name}\");\n";
        return since ? $"#ifdef {name}\n{check}#endif\n" : check;
    }
}
