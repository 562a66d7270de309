"""AWS list prices in US dollars, for US East (N. Virginia), without free tiers; other regions differ.

X-Ray: $5.00 per million traces recorded, $0.50 per million retrieved or scanned (aws.amazon.com/xray/pricing).
CloudWatch Logs Insights: $0.005 per GB scanned (aws.amazon.com/cloudwatch/pricing, May 2026).
"""

USD_PER_RECORDED = 5.0e-6
USD_PER_READ = 0.5e-6
USD_PER_SCANNED_BYTE = 0.005e-9
