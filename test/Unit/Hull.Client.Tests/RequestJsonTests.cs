using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Hull.Protocol;

namespace Hull.Client.Tests;

/// <summary>What is written member by member is what the tables would write.</summary>
public sealed class RequestJsonTests
{
    [Theory, InlineData(false), InlineData(true)]
    public void A_request_to_create_has_every_member(bool filled)
    {
        var request = filled ? (ContainerCreateRequest)Fill(typeof(ContainerCreateRequest)) : new ContainerCreateRequest();
        AssertSame(request, RequestJson.Write(request), DockerJson.Wire.ContainerCreateRequest);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_request_to_execute_has_every_member(bool filled)
    {
        var request = filled ? (ExecCreateRequest)Fill(typeof(ExecCreateRequest)) : new ExecCreateRequest();
        AssertSame(request, RequestJson.Write(request), DockerJson.Wire.ExecCreateRequest);
    }

    /// <summary>What a reader has of it is what it would have of the tables' output: a member that is null may be left out.</summary>
    private static void AssertSame<T>(T request, byte[] actual, JsonTypeInfo<T> type)
    {
        var expected = JsonSerializer.SerializeToUtf8Bytes(request, type);
        var read = JsonSerializer.SerializeToUtf8Bytes(JsonSerializer.Deserialize(actual, type)!, type);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(read)),
            $"{System.Text.Encoding.UTF8.GetString(expected)}\n{System.Text.Encoding.UTF8.GetString(actual)}");
    }

    /// <summary>A value of a type, no member of which has its default.</summary>
    private static object Fill(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(string)) return "a \"text\" with <marks> & ümlauts";
        if (type == typeof(bool)) return true;
        if (type == typeof(int)) return 7;
        if (type == typeof(long)) return 7L << 40;
        if (type == typeof(SortedSet<string>)) return new SortedSet<string> { "80/tcp", "/data" };
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Dictionary<,>))
        {
            var map = (IDictionary)Activator.CreateInstance(type)!;
            map.Add("key", Fill(type.GetGenericArguments()[1]));
            return map;
        }

        if (type.IsGenericType)
        {
            var list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(type.GetGenericArguments()[0]))!;
            list.Add(Fill(type.GetGenericArguments()[0]));
            return list;
        }

        var made = Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance)) property.SetValue(made, Fill(property.PropertyType));
        return made;
    }
}
