"""What AWS charges, in US dollars: list prices of US East (N. Virginia); other regions differ, free tiers are left out.

X-Ray: $5.00 a million traces recorded, $0.50 a million retrieved or scanned (aws.amazon.com/xray/pricing, and the
reference document on X-Ray and EKS).  CloudWatch Logs Insights: $0.005 a GB scanned (aws.amazon.com/cloudwatch/pricing,
as listed in May 2026).
"""

USD_PER_RECORDED = 5.0e-6
USD_PER_READ = 0.5e-6
USD_PER_SCANNED_BYTE = 0.005e-9
